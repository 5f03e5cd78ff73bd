"""Questions before training. The package is not called `checkup`: that is the public function."""
