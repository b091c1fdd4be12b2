// Package acceptance tests the whole server. A journey runs through three drivers: use cases, HTTP, and a browser with the page.
// Attacks and API stories run through use cases and HTTP. The other files test the HTTP API, the page, and the conformance to WebAuthn. cluster and
// durability start the program as processes; testkit has what the tests share. README.md says how to write a test, which level
// owns which rule, and how long each suite takes.
package acceptance
