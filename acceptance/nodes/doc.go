// Package nodes runs several servers on one PostgreSQL, behind a real load balancer that sends each request to another one,
// and holds them to what one server promises. It has tests only.
//
// Some of the servers are other programs than this one: a next release, and one whose clock can be carried away. They are
// built of the same sources with a few lines replaced (go build -overlay); the product knows nothing of it.
package nodes
