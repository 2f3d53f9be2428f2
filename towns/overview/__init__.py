"""The state of the fleet at a glance: what it is, what needs a person, what goes on."""
