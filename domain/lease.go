package domain

// Lease is the name of a job that one node runs for all nodes.
type Lease string

const LeaseDeleteExpired Lease = "delete_expired"
