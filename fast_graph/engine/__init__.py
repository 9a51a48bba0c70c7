"""What executes runs: claiming, executing, keeping leases, taking over what others lost."""
