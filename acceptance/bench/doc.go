// Command bench measures the performance of the server: `make bench`.
//
// It starts the binary pinned to one core, performs complete ceremonies from the other cores, and measures in the same run what
// the work costs at least. docs/performance/README.md explains the figures.
package main
