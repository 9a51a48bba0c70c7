"""The only package that touches compiled graphs: registering, configuring, running and describing them."""
