// Package acceptance tests Keylodge by stories. Each story runs through three drivers: the use cases directly, HTTP on a
// real listener, and a real browser with Keylodge's own page. stories_test.go has the table of stories and drivers;
// docs/stories.md shows it. The other tests check the HTTP API, the page, and the conformance to WebAuthn.
package acceptance
