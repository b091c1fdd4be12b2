package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/keylodge/keylodge/adapters/development"
	"github.com/keylodge/keylodge/adapters/smtp"
	"github.com/keylodge/keylodge/adapters/system"
	"github.com/keylodge/keylodge/bootstrap/config"
	"github.com/keylodge/keylodge/domain"
)

// develop runs a server in the development mode, with a page at pageAddress, until ctx ends. It leaves no data.
func develop(ctx context.Context, pageAddress string, stdout, stderr io.Writer) (err error) {
	folder, err := os.MkdirTemp("", "keylodge-dev-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	cfg, err := config.LoadForDevelopment(folder)
	if err != nil {
		return &domain.Error{Kind: domain.KindInvalid, Code: "invalid_settings", Message: err.Error()}
	}
	composer, err := smtp.New(*cfg.SMTP)
	if err != nil {
		return err
	}
	cfg.Mailbox = &development.Mailbox{Compose: composer.Compose}
	clock := development.NewClock(system.Clock{})
	log := newLogger(cfg, stderr)

	listener, err := listenOnLoopback(ctx, pageAddress)
	if err != nil {
		return err
	}
	page := &development.Page{Mailbox: cfg.Mailbox, Clock: clock, URL: cfg.PublicURL}
	server := &http.Server{Handler: page.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with Close
	defer server.Close()
	// Meaning: keylodge dev runs, and not keylodge serve. All data is deleted when it stops.
	log.Warn("DEVELOPMENT MODE, not for real accounts: data is deleted at the end, e-mails are not sent, and the page shows all codes",
		slog.String("page", "http://"+listener.Addr().String()))
	return serveWith(ctx, cfg, clock, stdout, log)
}

// listenOnLoopback listens on an address of this machine that others cannot reach.
func listenOnLoopback(ctx context.Context, address string) (net.Listener, error) {
	if host, _, err := net.SplitHostPort(address); err != nil || !config.IsLoopback(host) {
		return nil, &domain.Error{
			Kind: domain.KindInvalid, Code: "invalid_arguments",
			Message: fmt.Sprintf("%q is not an address of this machine; write for example 127.0.0.1:8025", address),
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another one with --page", err)
	}
	return listener, nil
}
