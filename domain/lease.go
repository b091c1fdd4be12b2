package domain

// Lease is something that the server does by itself, and one of its nodes for all of them.
type Lease string

const LeaseDeleteExpired Lease = "sweep"
