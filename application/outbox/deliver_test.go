package outbox_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keylodge/keylodge/application/outbox"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// fakeMailer records the e-mails that it accepts.
type fakeMailer struct {
	mu       sync.Mutex
	sent     []ports.OutgoingEmail
	onSend   func(context.Context, ports.OutgoingEmail) error // nil accepts every e-mail
	rejected int                                              // number of e-mails that onSend rejected
}

func (p *fakeMailer) Send(ctx context.Context, email ports.OutgoingEmail) error {
	if p.onSend != nil {
		if err := p.onSend(ctx, email); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.rejected++
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, email)
	return nil
}

func (p *fakeMailer) recipients() (list []domain.Email) {
	for _, email := range p.sent {
		list = append(list, email.Email.To)
	}
	return list
}

func TestDeliver_OnceInDueOrder(t *testing.T) {
	o := newFixture(t)
	for _, n := range []int{1, 3, 2} {
		o.queueEmail(n)
	}
	before := o.outbox()
	if got := o.mustDeliver(); got.Sent != 3 || got.Failed != nil {
		t.Errorf("delivered %+v", got)
	}
	if got := o.mailer.recipients(); !slices.Equal(got, []domain.Email{recipient(3), recipient(2), recipient(1)}) {
		t.Errorf("sent to %q", got)
	}
	for i, email := range o.mailer.sent {
		want := before[i]
		want.Attempts, want.DueAt = 1, noon.Add(5*time.Minute)
		if !reflect.DeepEqual(email, ports.OutgoingEmail{Email: want}) {
			t.Errorf("sent %+v, want %+v", email, want)
		}
	}
	if left := o.outbox(); left != nil {
		t.Errorf("outbox %+v", left)
	}
	o.clock.now = noon.Add(time.Hour)
	if got := o.mustDeliver(); got.Sent != 0 || len(o.mailer.sent) != 3 {
		t.Errorf("sent again: %+v", got)
	}
}

func TestDeliver_DecryptsCode(t *testing.T) {
	o := newFixture(t)
	code := o.queueCode()
	o.queueEmail(0)
	if got := o.mustDeliver(); got.Sent != 2 {
		t.Fatalf("delivered %+v", got)
	}
	for _, email := range o.mailer.sent {
		want := domain.Secret{}
		if email.Email.Kind == domain.EmailKindVerificationCode {
			want = code.Secret
		}
		if email.Code != want {
			t.Errorf("%s with the code %q, want %q", email.Email.Kind, email.Code.Reveal(), want.Reveal())
		}
	}
}

func TestDeliver_NotDueYet(t *testing.T) {
	o := newFixture(t)
	o.queueEmail(0)
	o.clock.now = noon.Add(-time.Microsecond)
	if got := o.mustDeliver(); !reflect.DeepEqual(got, outbox.Delivered{}) {
		t.Errorf("before it is due: %+v", got)
	}
	o.clock.now = noon
	if got := o.mustDeliver(); got.Sent != 1 {
		t.Errorf("when it is due: %+v", got)
	}
}

var errTryAgainLater = errors.New("451 try again later")

func TestDeliver_RetriesWithBackoff(t *testing.T) {
	const s, m = time.Second, time.Minute
	o := newFixture(t)
	id := o.queueEmail(0)
	o.queueEmail(1)
	o.mailer.onSend = func(_ context.Context, email ports.OutgoingEmail) error {
		if email.Email.To == recipient(0) {
			return errTryAgainLater
		}
		return nil
	}
	for attempt, wait := range []time.Duration{30 * s, m, 2 * m, 4 * m} {
		got := o.mustDeliver()
		want := outbox.Failure{ID: id, Kind: domain.EmailKindRecovered, Attempts: attempt + 1, Cause: errTryAgainLater}
		if len(got.Failed) != 1 || got.Failed[0] != want || (got.Sent == 1) != (attempt == 0) {
			t.Fatalf("attempt %d: %+v", attempt+1, got)
		}
		left := o.outbox()
		if len(left) != 1 || left[0].ID != id || left[0].Attempts != attempt+1 || !left[0].DueAt.Equal(o.clock.now.Add(wait)) {
			t.Errorf("after attempt %d: %+v", attempt+1, left)
		}
		o.clock.now = o.clock.now.Add(wait - time.Microsecond)
		if got := o.mustDeliver(); !reflect.DeepEqual(got, outbox.Delivered{}) {
			t.Errorf("too early after attempt %d: %+v", attempt+1, got)
		}
		o.clock.now = o.clock.now.Add(time.Microsecond)
	}
	o.mailer.onSend = nil
	if got := o.mustDeliver(); got.Sent != 1 || o.outbox() != nil {
		t.Errorf("in the end: %+v, outbox %+v", got, o.outbox())
	}
}

func TestDeliver_UndeliverableIsGivenUp(t *testing.T) {
	o := newFixture(t)
	id := o.queueEmail(1)
	o.queueEmail(0)
	cause := fmt.Errorf("550 no such mailbox: %w", domain.ErrUndeliverable)
	o.mailer.onSend = func(_ context.Context, email ports.OutgoingEmail) error {
		if email.Email.ID == id {
			return cause
		}
		return nil
	}
	got := o.mustDeliver()
	if want := (outbox.Failure{ID: id, Kind: domain.EmailKindRecovered, Attempts: 1, GivenUp: true, Cause: cause}); got.Sent != 1 || len(got.Failed) != 1 || got.Failed[0] != want {
		t.Errorf("delivered %+v", got)
	}
	if left := o.outbox(); left != nil {
		t.Errorf("outbox %+v", left)
	}
}

// After one attempt finds the server unavailable, the others are not tried.
func TestDeliver_StopsWhenServerUnavailable(t *testing.T) {
	o := newFixture(t)
	first := o.queueEmail(2)
	o.queueEmail(1)
	o.queueEmail(0)
	o.mailer.onSend = func(context.Context, ports.OutgoingEmail) error {
		return fmt.Errorf("connection refused: %w", domain.ErrUnavailable)
	}
	got := o.mustDeliver()
	if got.Sent != 0 || len(got.Failed) != 1 || got.Failed[0].ID != first || got.Failed[0].GivenUp || !errors.Is(got.Failed[0].Cause, domain.ErrUnavailable) {
		t.Errorf("delivered %+v", got)
	}
	attempts := 0
	for _, m := range o.outbox() {
		attempts += m.Attempts
	}
	if o.mailer.rejected != 1 || attempts != 1 || len(o.outbox()) != 3 {
		t.Errorf("%d attempts, outbox %+v", o.mailer.rejected, o.outbox())
	}
	o.mailer.onSend = nil
	o.clock.now = noon.Add(30 * time.Second)
	if got := o.mustDeliver(); got.Sent != 3 {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestDeliver_ExpiredIsGivenUp(t *testing.T) {
	for left, sent := range map[time.Duration]int{time.Microsecond: 1, 0: 0, -time.Hour: 0} {
		o := newFixture(t)
		id := o.queueEmail(0)
		o.clock.now = noon.Add(4*24*time.Hour - left)
		got := o.mustDeliver()
		if got.Sent != sent || len(o.mailer.sent) != sent || o.outbox() != nil {
			t.Errorf("%s before it expires: %+v, outbox %+v", left, got, o.outbox())
		}
		if sent == 0 && (len(got.Failed) != 1 || got.Failed[0].ID != id || !got.Failed[0].GivenUp || !errors.Is(got.Failed[0].Cause, domain.ErrUndeliverable)) {
			t.Errorf("%s before it expires: %+v", left, got)
		}
	}
}

// A code that expires before the next attempt is not sent again.
func TestDeliver_ExpiringBeforeRetryIsGivenUp(t *testing.T) {
	o := newFixture(t)
	o.queueCode()
	o.mailer.onSend = func(context.Context, ports.OutgoingEmail) error { return errTryAgainLater }
	o.clock.now = noon.Add(30*time.Minute - 30*time.Second)
	if got := o.mustDeliver(); len(got.Failed) != 1 || !got.Failed[0].GivenUp || got.Failed[0].Cause != errTryAgainLater || o.outbox() != nil {
		t.Errorf("delivered %+v, outbox %+v", got, o.outbox())
	}
}

// The server's secret was replaced, or a code was moved to another e-mail.
func TestDeliver_UndecryptableCodeIsGivenUp(t *testing.T) {
	for name, change := range map[string]func(*fixture){
		"encrypted with a removed secret": func(o *fixture) { o.service.Sealer = newSealer(o.t, "B") },
		"encrypted for another e-mail": func(o *fixture) {
			queued := o.outbox()[0]
			other := domain.NewOutboxEmailID(noon, rand.Reader)
			o.update(func(tx ports.Tx) error {
				moved := queued
				moved.ID = other
				return errors.Join(tx.OutboxEmails.Remove(o.t.Context(), queued.ID), tx.OutboxEmails.Add(o.t.Context(), domain.RestoreOutboxEmail(moved)))
			})
		},
		"truncated": func(o *fixture) {
			queued := o.outbox()[0]
			queued.Code = queued.Code[:1]
			o.update(func(tx ports.Tx) error {
				return errors.Join(tx.OutboxEmails.Remove(o.t.Context(), queued.ID), tx.OutboxEmails.Add(o.t.Context(), domain.RestoreOutboxEmail(queued)))
			})
		},
	} {
		o := newFixture(t)
		o.queueCode()
		change(o)
		got := o.mustDeliver()
		if len(got.Failed) != 1 || !got.Failed[0].GivenUp || !errors.Is(got.Failed[0].Cause, domain.ErrUndeliverable) || len(o.mailer.sent) != 0 || o.outbox() != nil {
			t.Errorf("%s: %+v, sent %+v, outbox %+v", name, got, o.mailer.sent, o.outbox())
		}
	}
}

func TestDeliver_ConcurrentNodesSendEachEmailOnce(t *testing.T) {
	const nodes, each = 16, 4
	o := newFixture(t)
	for n := range nodes * each {
		o.queueEmail(n)
	}
	sent := make([]int, nodes)
	var deliveries sync.WaitGroup
	for node := range nodes {
		deliveries.Go(func() {
			delivered, err := o.service.Deliver(t.Context())
			if err != nil || delivered.Failed != nil {
				t.Errorf("got %+v, %v", delivered, err)
			}
			sent[node] = delivered.Sent
		})
	}
	deliveries.Wait()
	got := o.mailer.recipients()
	total := 0
	for _, n := range sent {
		total += n
	}
	if slices.Sort(got); len(slices.Compact(got)) != nodes*each || len(o.mailer.sent) != nodes*each || total != nodes*each {
		t.Errorf("sent %d e-mails to %d recipients, %d reported", len(o.mailer.sent), len(slices.Compact(got)), total)
	}
	if left := o.outbox(); left != nil {
		t.Errorf("outbox %+v", left)
	}
}

// While one node sends an e-mail to a slow server, no other node sends it.
func TestDeliver_EmailInFlightIsNotDue(t *testing.T) {
	o := newFixture(t)
	o.queueEmail(0)
	o.mailer.onSend = func(context.Context, ports.OutgoingEmail) error {
		if len(o.outbox()) != 1 {
			t.Error("the e-mail was removed before it was sent")
		}
		other := *o.service
		other.Mailer = &fakeMailer{}
		for _, later := range []time.Duration{0, 5*time.Minute - time.Microsecond} {
			other.Clock = &clock{noon.Add(later)}
			if got, err := other.Deliver(t.Context()); err != nil || !reflect.DeepEqual(got, outbox.Delivered{}) {
				t.Errorf("%s later, another node delivers %+v, %v", later, got, err)
			}
		}
		return nil
	}
	if got := o.mustDeliver(); got.Sent != 1 {
		t.Errorf("delivered %+v", got)
	}
}

func TestDeliver_InterruptedEmailIsRetried(t *testing.T) {
	o := newFixture(t)
	id := o.queueEmail(1)
	o.queueEmail(0)
	ctx, cancel := context.WithCancel(t.Context())
	o.mailer.onSend = func(ctx context.Context, _ ports.OutgoingEmail) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	if got, err := o.service.Deliver(ctx); err != nil || !reflect.DeepEqual(got, outbox.Delivered{}) {
		t.Errorf("canceled: %+v, %v", got, err)
	}
	for _, m := range o.outbox() {
		if m.ID == id && (m.Attempts != 1 || !m.DueAt.Equal(noon.Add(5*time.Minute))) {
			t.Errorf("outbox %+v", m)
		}
	}
	if n := len(o.outbox()); n != 2 {
		t.Errorf("%d e-mails in the outbox, want 2", n)
	}
	o.mailer.onSend = nil
	o.clock.now = noon.Add(5*time.Minute - time.Microsecond)
	if got := o.mustDeliver(); got.Sent != 1 || o.mailer.sent[0].Email.ID == id {
		t.Errorf("before the timeout: %+v, sent %+v", got, o.mailer.sent)
	}
	o.clock.now = noon.Add(5 * time.Minute)
	if got := o.mustDeliver(); got.Sent != 1 || o.mailer.sent[1].Email.ID != id || o.mailer.sent[1].Email.Attempts != 2 {
		t.Errorf("after the timeout: %+v, sent %+v", got, o.mailer.sent)
	}
}

// An e-mail that the server accepted before the interruption is recorded as sent, so that it is not sent twice.
func TestDeliver_SentBeforeShutdownIsNotResent(t *testing.T) {
	o := newFixture(t)
	o.queueEmail(1)
	o.queueEmail(0)
	ctx, cancel := context.WithCancel(t.Context())
	o.mailer.onSend = func(context.Context, ports.OutgoingEmail) error {
		cancel()
		return nil
	}
	if got, err := o.service.Deliver(ctx); err != nil || got.Sent != 1 || got.Failed != nil {
		t.Errorf("canceled: %+v, %v", got, err)
	}
	if left := o.outbox(); len(left) != 1 || left[0].To != recipient(0) || left[0].Attempts != 0 {
		t.Errorf("outbox %+v", left)
	}
}

func TestDeliver_SendTimeout(t *testing.T) {
	o := newFixture(t)
	o.queueEmail(0)
	begun := time.Now()
	o.mailer.onSend = func(ctx context.Context, _ ports.OutgoingEmail) error {
		if until, limited := ctx.Deadline(); !limited || until.Before(begun.Add(time.Minute)) || until.After(time.Now().Add(time.Minute)) {
			t.Errorf("deadline %s, %t", until, limited)
		}
		return context.DeadlineExceeded
	}
	if got := o.mustDeliver(); len(got.Failed) != 1 || got.Failed[0].GivenUp || got.Failed[0].Cause != context.DeadlineExceeded {
		t.Errorf("delivered %+v", got)
	}
}

func TestDeliver_MailOff(t *testing.T) {
	o := newFixture(t)
	o.queueEmail(0)
	before := o.outbox()
	for _, service := range []*outbox.Service{{}, {Policy: domain.EmailOff, Store: o.store, Mailer: o.mailer, Sealer: o.sealer, Clock: o.clock}} {
		if got, err := service.Deliver(t.Context()); err != nil || !reflect.DeepEqual(got, outbox.Delivered{}) {
			t.Errorf("delivered %+v, %v", got, err)
		}
	}
	if after := o.outbox(); !reflect.DeepEqual(after, before) || o.mailer.sent != nil {
		t.Errorf("sent %+v, outbox %+v", o.mailer.sent, after)
	}
}

// Without a due e-mail, Deliver begins no write transaction.
func TestDeliver_EmptyOutboxWritesNothing(t *testing.T) {
	o := newFixture(t)
	o.service.Store = readOnlyStore{o.store}
	if got := o.mustDeliver(); !reflect.DeepEqual(got, outbox.Delivered{}) {
		t.Errorf("delivered %+v", got)
	}
	o.queueEmail(0)
	if got, err := o.service.Deliver(t.Context()); !errors.Is(err, domain.ErrUnavailable) || !reflect.DeepEqual(got, outbox.Delivered{}) || o.mailer.sent != nil {
		t.Errorf("sent without a recorded attempt: %+v, %v", got, err)
	}
}

type readOnlyStore struct{ ports.Store }

func (readOnlyStore) Update(context.Context, func(ports.Tx) error) error {
	return domain.ErrUnavailable
}

// conflictOnceStore is a store that runs the first Update twice, because another node was faster.
type conflictOnceStore struct {
	ports.Store
	onConflict func()
}

var errSerialization = errors.New("not serializable")

func (r *conflictOnceStore) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if hook := r.onConflict; hook != nil {
		r.onConflict = nil
		err := r.Store.Update(ctx, func(tx ports.Tx) error { return errors.Join(fn(tx), errSerialization) })
		if !errors.Is(err, errSerialization) {
			return err
		}
		hook()
	}
	return r.Store.Update(ctx, fn)
}

func TestDeliver_EmailTakenByAnotherNode(t *testing.T) {
	o := newFixture(t)
	o.queueEmail(0)
	other := *o.service
	o.service.Store = &conflictOnceStore{o.store, func() {
		if got, err := other.Deliver(t.Context()); err != nil || got.Sent != 1 {
			t.Errorf("the other node delivers %+v, %v", got, err)
		}
	}}
	if got := o.mustDeliver(); !reflect.DeepEqual(got, outbox.Delivered{}) || len(o.mailer.sent) != 1 {
		t.Errorf("delivered %+v, sent %d", got, len(o.mailer.sent))
	}
}
