//go:build linux

package build

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keylodge/keylodge/acceptance/testkit/authenticator"
	"github.com/keylodge/keylodge/acceptance/testkit/client"
	"github.com/keylodge/keylodge/acceptance/testkit/keylodgeserver"
	"github.com/keylodge/keylodge/acceptance/testkit/process"
	"github.com/keylodge/keylodge/acceptance/testkit/require"
)

// The final stage of the image has one program, no shell, and runs as another user than root.
func TestContainer_HasNoShellAndNoRoot(t *testing.T) {
	stage := finalStage(t)
	if from := stage.one(t, "FROM"); from != "scratch" {
		t.Errorf("the image is based on %q", from)
	}
	if id, err := strconv.Atoi(strings.Split(stage.one(t, "USER"), ":")[0]); err != nil || id == 0 {
		t.Errorf("the user is %q, want the number of another user than root", stage.one(t, "USER"))
	}
	if len(stage["RUN"]) > 0 {
		t.Errorf("an image without a shell cannot run %q", stage["RUN"])
	}
	for _, secret := range []string{".env", "keylodge.secret", "*.db", "/.git"} {
		if ignored := strings.Split(readFile(t, ".dockerignore"), "\n"); !slices.Contains(ignored, secret) {
			t.Errorf("the image's build gets %s", secret)
		}
	}
}

// Without a container engine, the test does what one does: it makes the file system of the image, and runs its programs there as
// its user. It then signs up.
func TestContainer_ServesAsItsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root can change the root directory")
		require.Missing(t, require.Root)
	}
	stage, root := finalStage(t), t.TempDir()
	user, err := strconv.Atoi(strings.Split(stage.one(t, "USER"), ":")[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, line := range stage["COPY"] {
		words := slices.DeleteFunc(strings.Fields(line), func(word string) bool { return strings.HasPrefix(word, "--") })
		source, target := words[0], filepath.Join(root, words[1])
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		switch source {
		case "/src/bin/keylodge": // make build makes the same program
			copyFile(t, keylodgeserver.Binary(t), target, 0o755)
		case "/src/data":
			if err := os.Mkdir(target, 0o700); err != nil {
				t.Fatal(err)
			}
		default:
			copyFile(t, source, target, 0o644)
		}
		if strings.Contains(line, "--chown=") {
			if err := os.Chown(target, user, user); err != nil {
				t.Fatal(err)
			}
		}
	}
	address, err := process.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + strings.Replace(address, "127.0.0.1", "localhost", 1)
	log := &process.Log{}
	run := func(arguments string) *process.Process {
		t.Helper()
		var program []string
		if err := json.Unmarshal([]byte(arguments), &program); err != nil {
			t.Fatalf("%s: the image has no shell, so a program is a list: %v", arguments, err)
		}
		command := exec.CommandContext(context.Background(), program[0], program[1:]...)
		command.Dir = stage.one(t, "WORKDIR")
		command.Env = append(slices.Clone(stage["ENV"]), "KEYLODGE_PUBLIC_URL="+url, "KEYLODGE_OPS_LISTEN=",
			"KEYLODGE_LISTEN="+strings.Replace(address, "127.0.0.1", "0.0.0.0", 1))
		command.Stdout, command.Stderr = log, log
		command.SysProcAttr = &syscall.SysProcAttr{
			Chroot: root, Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)},
		}
		p, err := process.Start(command)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		return p
	}
	_, check, _ := strings.Cut(stage.one(t, "HEALTHCHECK"), "CMD ")
	if run(check).ExitCode() == 0 {
		t.Error("the container is healthy before the server is started")
	}
	server := run(stage.one(t, "ENTRYPOINT"))
	for deadline := time.Now().Add(keylodgeserver.Timeout); run(check).ExitCode() != 0; time.Sleep(50 * time.Millisecond) {
		select {
		case <-server.Exited():
			t.Fatalf("the server has ended:\n%s", log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server is not healthy in time:\n%s", log)
		}
	}
	api, passkeys := client.NewBrowser(url, nil), authenticator.New(url)
	begun, err := api.BeginSignUp(client.SignUpOptionsRequest{DisplayName: new("Ada")})
	if err != nil {
		t.Fatal(err)
	}
	credential, err := passkeys.Create(begun.Options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := api.FinishSignUp(client.SignUpVerifyRequest{ChallengeID: begun.ChallengeID, Credential: credential}); err != nil {
		t.Fatal(err)
	}
	if code := run(`["/keylodge", "backup", "/data/backup"]`).ExitCode(); code != 0 {
		t.Errorf("the operator's command ends with %d:\n%s", code, log)
	}
	if err := server.Stop(keylodgeserver.Timeout); err != nil || server.ExitCode() != 0 {
		t.Errorf("after SIGTERM: %v, exit code %d\n%s", err, server.ExitCode(), log)
	}
	if file, err := os.Stat(filepath.Join(root, "data", "keylodge.db")); err != nil || file.Sys().(*syscall.Stat_t).Uid != uint32(user) {
		t.Errorf("the database is not in the volume: %v", err)
	}
}

// instructions are those of one stage of a Dockerfile, by keyword.
type instructions map[string][]string

func finalStage(t *testing.T) instructions {
	t.Helper()
	var stage instructions
	for line := range strings.Lines(readFile(t, "Dockerfile")) {
		keyword, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if keyword == "FROM" {
			stage = instructions{}
		}
		if stage != nil && keyword != "" {
			stage[keyword] = append(stage[keyword], rest)
		}
	}
	return stage
}

// one returns the only instruction with the keyword.
func (i instructions) one(t *testing.T, keyword string) string {
	t.Helper()
	if len(i[keyword]) != 1 {
		t.Fatalf("the final stage has %d instructions %s, want 1", len(i[keyword]), keyword)
	}
	return i[keyword][0]
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func copyFile(t *testing.T, source, target string, mode os.FileMode) {
	t.Helper()
	content, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, content, mode); err != nil {
		t.Fatal(err)
	}
}
