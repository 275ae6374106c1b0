"""Why a head scores as it does: the directions of its queries and keys."""
