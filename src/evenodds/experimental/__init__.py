"""Methods that no table of benchmarks/ shows to help; each says in its docstring what was measured.

Nothing else imports this room. Its members are found by name, as those of other rooms are: `learner=extragradient`,
`task=logan`, `prior=growing`, `top=0.5`.
"""
