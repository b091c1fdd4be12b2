package domain

// Duty is something that the server does by itself, and one of its nodes for all of them.
type Duty string

const DutySweep Duty = "sweep"
