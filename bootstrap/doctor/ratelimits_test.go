package doctor

import "testing"

func TestSendsPasswordInClear(t *testing.T) {
	for url, want := range map[string]bool{
		"redis://:hunter2@redis.example.org:6379/0":  true,
		"redis://ada:hunter2@10.0.0.7":               true,
		"rediss://:hunter2@redis.example.org:6379/0": false,
		"redis://redis.example.org:6379/0":           false,
		"redis://ada@redis.example.org:6379/0":       false,
		"redis://:hunter2@127.0.0.1:6379/0":          false,
		"redis://:hunter2@[::1]:6379/0":              false,
	} {
		if got := sendsPasswordInClear(url); got != want {
			t.Errorf("%s: %t, want %t", url, got, want)
		}
	}
}
