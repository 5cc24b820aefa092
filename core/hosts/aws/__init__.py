"""Sites in the operator's own AWS account: what both AWS hosts are made of."""
