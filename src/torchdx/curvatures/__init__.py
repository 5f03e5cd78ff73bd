"""The Hessian as an instrument: what the loss looks like around the weights, each answer bounded.

    local -> operators -> lanczos (one basis) -> spectrum, verdicts -> results

`dx.curvature(model, loss_fn, batch)` asks about a net, `dx.spectrum(matvec, n)` about any symmetric
operator. Nothing here changes the program's weights, buffers, gradients, modes or random states.
"""
