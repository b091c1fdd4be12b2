// Package cluster tests a cluster: several servers with one PostgreSQL, behind a load balancer that sends each request to another
// node. The cluster must give the guarantees of one server. The package has tests only.
//
// Some tests run other programs, which are in cmd: a next release, and one whose clock the test can advance. They use the packages
// of the product, which cannot import them.
package cluster
