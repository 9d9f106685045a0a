"""What the players minimise: adversarial losses, variational divergences and penalties, as functions of tensors."""
