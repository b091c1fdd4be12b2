// Package deploy tests the files in deploy with the programs that read them: Prometheus scrapes a real server, evaluates the alerts and
// answers the queries of the dashboard.
package deploy
