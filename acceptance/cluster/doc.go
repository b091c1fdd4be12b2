// Package cluster tests a cluster: several servers with one PostgreSQL, behind a load balancer that sends each request to another
// node. The cluster must give the guarantees of one server. The package has tests only.
//
// Some tests run modified programs: a next release, and one whose clock the test can advance. They are built from the same
// sources with a few lines replaced (go build -overlay), so that the product needs no code for the tests.
package cluster
