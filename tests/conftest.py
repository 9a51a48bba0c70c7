"""What every folder of tests may ask for: real services. Nothing starts before a test asks."""

pytest_plugins = ["tests.services.plugin"]
