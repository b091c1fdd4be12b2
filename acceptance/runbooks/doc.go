// Package runbooks checks docs/runbooks: its tests produce the symptom of each page, and compare what the program says with what the
// page quotes.
package runbooks
