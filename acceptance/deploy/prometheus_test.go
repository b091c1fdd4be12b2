package deploy

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
	"github.com/keylodge/keylodge/acceptance/testkit/process"
	"github.com/keylodge/keylodge/acceptance/testkit/require"
)

const folder = "../../deploy"

type alert struct {
	Name        string            `yaml:"alert"`
	Annotations map[string]string `yaml:"annotations"`
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []alert `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(read(t, folder+"/prometheus/keylodge.rules.yml"), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Groups) != 1 || len(file.Groups[0].Rules) == 0 {
		t.Fatalf("the rules are %+v", file)
	}
	return file.Groups[0].Rules
}

// promtool evaluates the alerts with series of healthy and of failing servers.
func TestAlerts_FireForTheirValues(t *testing.T) {
	t.Parallel()
	promtool := require.Program(t, require.Promtool)
	files, err := filepath.Glob(folder + "/prometheus/*.test.yml")
	if err != nil {
		t.Fatal(err)
	}
	run(t, promtool, append([]string{"test", "rules"}, files...)...)
	var tests strings.Builder
	for _, file := range files {
		tests.Write(read(t, file))
	}
	for _, a := range alerts(t) {
		if !strings.Contains(tests.String(), `alertname="`+a.Name+`",alertstate="firing"`) {
			t.Errorf("no test fires %s", a.Name)
		}
	}
}

// The server has the pages of its alerts.
func TestAlerts_LinkToRunbooks(t *testing.T) {
	t.Parallel()
	s := keylodgeserver.New(t, keylodgeserver.Binary(t))
	s.Start()
	for _, a := range alerts(t) {
		page, found := strings.CutPrefix(a.Annotations["runbook_url"], "https://id.example.org")
		if !found || a.Annotations["summary"] == "" {
			t.Errorf("%s: %v", a.Name, a.Annotations)
			continue
		}
		path, anchor, _ := strings.Cut(page, "#")
		response := send(t, s.URL()+path)
		if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || !strings.Contains(string(body), `id="`+anchor) {
			t.Errorf("%s: %s: status %d, %v, or it has no #%s", a.Name, path, response.StatusCode, err, anchor)
		}
	}
}

// A Prometheus loads the alerts and scrapes a server with one user. No alert fires, and each query of the dashboard has a result,
// unless it selects what has not happened.
func TestPrometheus_ScrapesServer(t *testing.T) {
	t.Parallel()
	prometheus := require.Program(t, require.Prometheus)
	operations, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s := keylodgeserver.New(t, keylodgeserver.Binary(t), "KEYLODGE_OPS_LISTEN="+operations)
	s.Start()
	signUp(t, s.URL())

	p := startPrometheus(t, prometheus, operations)
	p.await(`min_over_time(up{job="keylodge"}[5s]) == 1 and count_over_time(up[5s]) > 3`)
	if firing := p.query(`ALERTS{alertstate="firing"}`); len(firing) > 0 {
		t.Errorf("these alerts fire: %s", firing)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, folder+"/grafana/keylodge.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	variables, queries := strings.NewReplacer("$job", "keylodge", "$__rate_interval", "5s", "$__range", "5s"), 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries++
			expression := variables.Replace(target.Expr)
			if result := p.query(expression); len(result) == 0 && !strings.Contains(expression, "> 0") {
				t.Errorf("%s: %s selects nothing", panel.Title, expression)
			}
		}
	}
	if queries < 10 {
		t.Errorf("the dashboard has %d queries", queries)
	}
}

// prometheusServer is a running Prometheus.
type prometheusServer struct {
	t   *testing.T
	url string
	log *process.Log
}

func startPrometheus(t *testing.T, binary, target string) prometheusServer {
	t.Helper()
	rules, err := filepath.Abs(folder + "/prometheus/keylodge.rules.yml")
	if err != nil {
		t.Fatal(err)
	}
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	configuration := `{"global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"}, "rule_files": ["` + rules + `"],
		"scrape_configs": [{"job_name": "keylodge", "static_configs": [{"targets": ["` + target + `"]}]}]}`
	if err := os.WriteFile(data+"/prometheus.yml", []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	log := &process.Log{}
	command := exec.CommandContext(context.Background(), binary, "--config.file="+data+"/prometheus.yml", "--storage.tsdb.path="+data+"/data", "--web.listen-address="+address)
	command.Stdout, command.Stderr = log, log
	running, err := process.Start(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running.Kill)
	return prometheusServer{t, "http://" + address, log}
}

// query returns the samples of an instant query; each is an object of Prometheus's HTTP API.
func (p prometheusServer) query(expression string) []json.RawMessage {
	p.t.Helper()
	result, err := p.tryQuery(expression)
	if err != "" {
		p.t.Fatalf("%s: %s\n%s", expression, err, p.log)
	}
	return result
}

func (p prometheusServer) tryQuery(expression string) (result []json.RawMessage, problem string) {
	p.t.Helper()
	response, err := http.Get(p.url + "/api/v1/query?query=" + url.QueryEscape(expression))
	if err != nil {
		return nil, err.Error()
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, err.Error()
	}
	if answer.Status != "success" {
		return nil, answer.Status + ": " + answer.Error
	}
	return answer.Data.Result, ""
}

// await waits until the query has a result.
func (p prometheusServer) await(expression string) {
	p.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		result, problem := p.tryQuery(expression)
		if len(result) > 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("waiting for %s: %s\n%s", expression, problem, p.log)
		}
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// send sends a GET request.
func send(t *testing.T, address string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// signUp creates an account for Ada.
func signUp(t *testing.T, origin string) {
	t.Helper()
	ada := client.NewBrowser(origin, nil)
	begun, err := ada.BeginSignUp(client.SignUpOptionsRequest{DisplayName: new("Ada")})
	if err != nil {
		t.Fatal(err)
	}
	credential, err := authenticator.New(origin).Create(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ada.FinishSignUp(client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: credential}); err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, program string, arguments ...string) {
	t.Helper()
	if output, err := exec.CommandContext(t.Context(), program, arguments...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
}
