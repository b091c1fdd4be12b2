// Package acceptance tells Keylodge's stories in the product's own words and plays each through three doors: the use
// cases directly, HTTP on a real listener, and a real browser with its own page. The table of stories and doors stands
// in stories_test.go; docs/stories.md shows it.
package acceptance
