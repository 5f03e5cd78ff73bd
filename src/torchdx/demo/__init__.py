"""A sick program and its data: 1,797 handwritten digits of 8 x 8 pixels.

The digits are the test set of the "Optical Recognition of Handwritten Digits" data (E. Alpaydin and
C. Kaynak, UCI Machine Learning Repository, doi 10.24432/C50P49, CC BY 4.0), as in scikit-learn.
"""
