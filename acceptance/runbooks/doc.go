// Package runbooks checks docs/runbooks: its tests produce the symptom of each page, and compare what the program says with what the
// page quotes, and follow its commands, which must fix the problem.
package runbooks
