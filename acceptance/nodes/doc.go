// Package nodes runs several servers on one PostgreSQL, behind a real load balancer that sends each request to another one,
// and holds them to what one server promises. It has tests only.
package nodes
