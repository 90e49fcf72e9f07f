"""From hashes to a verdict: the policy that decides, and the engine that knows the order of things."""
