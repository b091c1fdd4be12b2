package mailserver

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Email is a delivered e-mail.
type Email struct {
	Sender, Recipient string // of the envelope
	Header            mail.Header
	Subject           string // decoded
	Text, HTML        string // the parts, decoded, with \n at the end of lines
	Raw               string
}

// Emails returns the e-mails to an address, oldest first, including all that the server accepted before the call.
func (s *Server) Emails(recipient string) []Email {
	s.t.Helper()
	s.awaitDelivery()
	files, err := os.ReadDir(filepath.Join(s.dir, "maildir", "new"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	slices.SortStableFunc(files, func(a, b fs.DirEntry) int { return cmp.Compare(s.arrival(a), s.arrival(b)) })
	var emails []Email
	for _, file := range files {
		email, err := readEmail(filepath.Join(s.dir, "maildir", "new", file.Name()))
		if err != nil {
			s.t.Fatal(err)
		}
		if email.Recipient == recipient {
			emails = append(emails, email)
		}
	}
	return emails
}

// awaitDelivery waits until the spool is empty. An e-mail is in the spool from before the server acknowledges it until it is in
// the maildir.
func (s *Server) awaitDelivery() {
	s.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		waiting, err := filepath.Glob(filepath.Join(s.dir, "spool", "input", "*"))
		if err != nil {
			s.t.Fatal(err)
		}
		if len(waiting) == 0 {
			return
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(s.dir, "mainlog"))
			s.t.Fatalf("exim has not delivered %q\n%s", waiting, log)
		}
	}
}

func (s *Server) arrival(file fs.DirEntry) int64 {
	s.t.Helper()
	info, err := file.Info()
	if err != nil {
		s.t.Fatal(err)
	}
	return info.ModTime().UnixNano()
}

func readEmail(path string) (Email, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return Email{}, err
	}
	message, err := mail.ReadMessage(strings.NewReader(string(raw)))
	if err != nil {
		return Email{}, err
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
	if err != nil {
		return Email{}, err
	}
	text, html, err := readParts(message)
	if err != nil {
		return Email{}, err
	}
	return Email{
		Sender:    strings.Trim(message.Header.Get("Return-Path"), "<>"),
		Recipient: message.Header.Get("Envelope-To"),
		Header:    message.Header,
		Subject:   subject,
		Text:      text,
		HTML:      html,
		Raw:       string(raw),
	}, nil
}

// readParts returns the two alternatives of a multipart/alternative in quoted-printable, which must be the only parts, the text first.
func readParts(message *mail.Message) (text, html string, err error) {
	kind, parameters, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return "", "", err
	}
	if kind != "multipart/alternative" {
		return "", "", fmt.Errorf("unexpected Content-Type %q", kind)
	}
	var bodies []string
	parts := multipart.NewReader(message.Body, parameters["boundary"])
	for _, want := range []string{"text/plain", "text/html"} {
		part, err := parts.NextRawPart()
		if err != nil {
			return "", "", err
		}
		if part.Header.Get("Content-Type") != want+"; charset=UTF-8" || part.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			return "", "", fmt.Errorf("unexpected header of the part %s: %v", want, part.Header)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			return "", "", err
		}
		bodies = append(bodies, strings.ReplaceAll(string(body), "\r\n", "\n"))
	}
	if _, err := parts.NextRawPart(); err != io.EOF {
		return "", "", fmt.Errorf("after the alternatives: %w", err)
	}
	return bodies[0], bodies[1], nil
}
