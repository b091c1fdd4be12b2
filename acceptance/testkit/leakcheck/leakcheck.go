// Package leakcheck collects the secrets in responses and finds them in logs. It is for tests whose servers are separate
// processes.
package leakcheck

import (
	"net/http"
	"regexp"
	"slices"
	"sync"
)

// Secrets is a set of secrets. It is safe for concurrent use. The zero value is empty.
type Secrets struct {
	mu    sync.Mutex
	known map[string]bool
}

var (
	secretMembers = regexp.MustCompile(`"(?:\w+_token|challenge|challenge_id|secret)":"([^"]+)"`)
	backupCodes   = regexp.MustCompile(`"([0-9a-z]{4}(?:-[0-9a-z]{4}){3})"`)
	words         = regexp.MustCompile(`[\w.~-]+`) // each token, code and cookie is one word
)

// AddResponse adds the secrets of a response: its cookies, and the tokens, challenges and codes in its body.
func (s *Secrets) AddResponse(response *http.Response, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]bool{}
	}
	for _, cookie := range response.Cookies() {
		if cookie.Value != "" {
			s.known[cookie.Value] = true
		}
	}
	for _, pattern := range []*regexp.Regexp{secretMembers, backupCodes} {
		for _, found := range pattern.FindAllSubmatch(body, -1) {
			s.known[string(found[1])] = true
		}
	}
}

// Len returns the number of secrets.
func (s *Secrets) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.known)
}

// FindIn returns the secrets that the text contains.
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
