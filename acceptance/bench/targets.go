package main

import "fmt"

// Target is one figure that the server must reach.
type Target struct {
	Figure   string `json:"figure"`
	Target   string `json:"target"`
	Measured string `json:"measured"`
	Verdict  string `json:"verdict"` // met, not met, or not measured
}

// judge compares the results with the targets.
func (r *Results) judge() {
	login, loginOK := r.measured(onSQLite, logins, 64)
	alone, _ := r.measured(onSQLite, logins, 1)
	sixteen, _ := r.measured(onSQLite, logins, 16)
	signUp, _ := r.measured(onSQLite, signUps, 16)
	check, checkOK := r.measured(onSQLite, sessionChecks, 64)
	peerLogin, peerOK := r.measured(asPeer, logins, 64)
	peerAlone, _ := r.measured(asPeer, logins, 1)
	peerSixteen, _ := r.measured(asPeer, logins, 16)
	peerSignUp, _ := r.measured(asPeer, signUps, 16)
	postgres, postgresOK := r.measured(onPostgres, logins, 64)
	filled, filledOK := r.measured(onFilled, logins, 64)
	filledCheck, _ := r.measured(onFilled, sessionChecks, 64)
	process, processOK := r.server(onSQLite)
	filledProcess, _ := r.server(onFilled)

	r.Targets = []Target{
		atMost("CPU of a login, 64 clients, against the limit", 1.9, "×", login.CPU/r.Limits.Login, loginOK),
		atLeast("logins per second, 64 clients, against the peer", 2.7, "×", login.PerSecond/peerLogin.PerSecond, peerOK),
		atMost("p50 of a login, one client, against the peer", 0.7, "×", alone.P50/peerAlone.P50, peerOK),
		atMost("p99 of a login, 16 clients, against the peer", 0.6, "×", sixteen.P99/peerSixteen.P99, peerOK),
		atMost("CPU of a sign-up, 16 clients, against the peer", 0.55, "×", signUp.CPU/peerSignUp.CPU, peerOK),
		atMost("CPU of a session check, 64 clients, against a bare route", 2.5, "×", check.CPU/r.Limits.Route, checkOK),
		atMost("CPU of a login on PostgreSQL, database included, against SQLite", 2.2, "×", postgres.CPU/login.CPU, postgresOK),
		atMost("CPU of a login, filled database against the empty one", 1.15, "×", filled.CPU/login.CPU, filledOK),
		atMost("CPU of a session check, filled database against the empty one", 1.15, "×", filledCheck.CPU/check.CPU, filledOK),
		atMost("memory, idle", 28, " MB", megabytes(process.Idle), processOK),
		atMost("memory, peak at 64 clients", 80, " MB", megabytes(process.Peak), processOK),
		atMost("start to the first response, filled database", 50, " ms", filledProcess.Start, filledOK),
		atMost("binary", 28, " MB", megabytes(r.BinaryBytes), r.BinaryBytes > 0),
	}
	for _, o := range r.Overloads {
		t := atMost(fmt.Sprintf("%d clients on %s: errors and lost sign-ins", o.Clients, o.Server), 0, "", float64(o.Errors+o.Lost), true)
		r.Targets = append(r.Targets, t)
	}
}

func atMost(figure string, limit float64, unit string, measured float64, ok bool) Target {
	return target(figure, "≤", limit, unit, measured, ok, measured <= limit)
}

func atLeast(figure string, limit float64, unit string, measured float64, ok bool) Target {
	return target(figure, "≥", limit, unit, measured, ok, measured >= limit)
}

func target(figure, relation string, limit float64, unit string, measured float64, ok, met bool) Target {
	t := Target{figure, fmt.Sprintf("%s %g%s", relation, limit, unit), "", "not measured"}
	if !ok {
		return t
	}
	t.Measured, t.Verdict = fmt.Sprintf("%.2f%s", measured, unit), "not met"
	if met {
		t.Verdict = "met"
	}
	return t
}
