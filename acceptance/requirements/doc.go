// Package requirements holds the security requirements and generates docs/security/requirements.md from them and from the
// annotations of the tests. It has tests only.
//
// The comment of a test names the requirements that the test enforces:
//
//	// Requirement: ASVS-6.3.1, NIST-3.2.2
//	func TestRateLimit_AttackerBlockedOwnerNot(t *testing.T) {
//
// The comment before one case of a table names those of the case. Its name is the first text in the line:
//
//	// Requirement: WebAuthn-7.1-7
//	{"type of the other ceremony", …},
//
// A table outside of a test names the tests that run its cases. A Requirement in the same comment is for all of them:
//
//	// Cases of: TestRegistrationRules, TestAuthenticationRules
//	func clientDataRules(…) []rule {
//
// A test of another package is named with its directory: adapters/sqlite.TestContract/Challenges.
package requirements
