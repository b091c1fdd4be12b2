// Package durability kills the real program, fills its disk, locks its database and tells it to stop, while people use it,
// and then compares what is there with what they were told. docs/durability.md says what is promised.
package durability
