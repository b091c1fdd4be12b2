// Package durability tests the built program under load: it kills the process, fills its disk, locks its database and stops
// it. Then it compares the stored state with the answers that the clients received. docs/operations/durability.md lists the guarantees.
package durability
