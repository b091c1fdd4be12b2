// Package leakcheck remembers the secrets that servers gave to their clients, and finds those that stand in a log. It is for
// tests whose servers are processes of their own.
package leakcheck

import (
	"net/http"
	"regexp"
	"slices"
	"sync"
)

// Secrets may be told of answers from any number of goroutines. The zero value knows none.
type Secrets struct {
	mu    sync.Mutex
	known map[string]bool
}

var (
	secretMembers = regexp.MustCompile(`"(?:\w+_token|challenge|challenge_id|secret)":"([^"]+)"`)
	backupCodes   = regexp.MustCompile(`"([0-9a-z]{4}(?:-[0-9a-z]{4}){3})"`)
	words         = regexp.MustCompile(`[\w.~-]+`) // tokens, codes and cookies are each one of them
)

// AddResponse tells of one: its cookies, and the tokens, challenges and codes in its body.
func (s *Secrets) AddResponse(answer *http.Response, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]bool{}
	}
	for _, cookie := range answer.Cookies() {
		if cookie.Value != "" {
			s.known[cookie.Value] = true
		}
	}
	for _, form := range []*regexp.Regexp{secretMembers, backupCodes} {
		for _, found := range form.FindAllSubmatch(body, -1) {
			s.known[string(found[1])] = true
		}
	}
}

// Len is how many there are.
func (s *Secrets) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.known)
}

// FindIn returns those that stand in the text.
func (s *Secrets) FindIn(text string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []string
	for _, word := range words.FindAllString(text, -1) {
		if s.known[word] {
			found = append(found, word)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}
