package mail_test

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

	"github.com/keylodge/keylodge/application/mail"
	"github.com/keylodge/keylodge/domain"
	"github.com/keylodge/keylodge/ports"
)

type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// postman is a mail server, as far as its answers go. The real one is met elsewhere.
type postman struct {
	mu     sync.Mutex
	took   []ports.Letter
	says   func(context.Context, ports.Letter) error // nil: it takes everything
	turned int                                       // letters that were not taken
}

func (p *postman) Send(ctx context.Context, letter ports.Letter) error {
	if p.says != nil {
		if err := p.says(ctx, letter); err != nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.turned++
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took = append(p.took, letter)
	return nil
}

func (p *postman) recipients() (list []domain.Email) {
	for _, letter := range p.took {
		list = append(list, letter.Message.To)
	}
	return list
}

// office is where mail waits that came in at noon and is sent.
type office struct {
	*house
	clock   *clock
	postman *postman
	deliver *mail.Deliver
}

func newOffice(t *testing.T) *office {
	h := newHouse(t)
	o := &office{house: h, clock: &clock{noon}, postman: &postman{}}
	o.deliver = &mail.Deliver{Policy: domain.MailOn, Store: h.store, Mailer: o.postman, Sealer: h.claims.Sealer, Clock: o.clock}
	return o
}

// leaves a notice for the n-th reader, due n seconds before noon.
func (o *office) leaves(n int) domain.MessageID {
	o.t.Helper()
	m, err := domain.NewNotice(address(n), domain.UserID{}, domain.MessageRecovered, domain.EventSnapshot{At: noon, IP: "203.0.113.9"}, noon.Add(-time.Duration(n)*time.Second), rand.Reader)
	if err != nil {
		o.t.Fatal(err)
	}
	o.update(func(tx ports.Tx) error { return tx.Messages.Add(o.t.Context(), m) })
	return m.ID()
}

func (o *office) delivers() mail.Delivered {
	o.t.Helper()
	delivered, err := o.deliver.Execute(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	return delivered
}

func TestWhatWaitsIsSentOnceTheLongestDueFirst(t *testing.T) {
	o := newOffice(t)
	for _, n := range []int{1, 3, 2} {
		o.leaves(n)
	}
	before := o.waiting()
	if got := o.delivers(); got.Sent != 3 || got.Failed != nil {
		t.Errorf("delivered %+v", got)
	}
	if got := o.postman.recipients(); !slices.Equal(got, []domain.Email{address(3), address(2), address(1)}) {
		t.Errorf("sent to %q", got)
	}
	for i, letter := range o.postman.took {
		want := before[i]
		want.Attempts, want.DueAt = 1, noon.Add(5*time.Minute)
		if !reflect.DeepEqual(letter, ports.Letter{Message: want}) {
			t.Errorf("sent %+v, want %+v", letter, want)
		}
	}
	if left := o.waiting(); left != nil {
		t.Errorf("left %+v", left)
	}
	o.clock.now = noon.Add(time.Hour)
	if got := o.delivers(); got.Sent != 0 || len(o.postman.took) != 3 {
		t.Errorf("sent again: %+v", got)
	}
}

func TestACodeIsSentInTheClear(t *testing.T) {
	o := newOffice(t)
	ada := o.moves("Ada", "", false)
	message, err := o.claim(ada, "ada@example.org", noon)
	if err != nil {
		t.Fatal(err)
	}
	o.leaves(0)
	if got := o.delivers(); got.Sent != 2 {
		t.Fatalf("delivered %+v", got)
	}
	for _, letter := range o.postman.took {
		want := domain.Secret{}
		if letter.Message.Kind == domain.MessageEmailCode {
			want = o.opened(message).Secret
		}
		if letter.Code != want {
			t.Errorf("%s with the code %q, want %q", letter.Message.Kind, letter.Code.Reveal(), want.Reveal())
		}
	}
}

func TestWhatIsNotDueYetWaits(t *testing.T) {
	o := newOffice(t)
	o.leaves(0)
	o.clock.now = noon.Add(-time.Microsecond)
	if got := o.delivers(); !reflect.DeepEqual(got, mail.Delivered{}) {
		t.Errorf("a moment before: %+v", got)
	}
	o.clock.now = noon
	if got := o.delivers(); got.Sent != 1 {
		t.Errorf("when it is due: %+v", got)
	}
}

var errBusy = errors.New("451 try again later")

func TestALetterThatIsNotTakenIsTriedAgainLaterAndLater(t *testing.T) {
	const s, m = time.Second, time.Minute
	o := newOffice(t)
	id := o.leaves(0)
	o.leaves(1)
	o.postman.says = func(_ context.Context, letter ports.Letter) error {
		if letter.Message.To == address(0) {
			return errBusy
		}
		return nil
	}
	for attempt, wait := range []time.Duration{30 * s, m, 2 * m, 4 * m} {
		got := o.delivers()
		want := mail.Failure{ID: id, Kind: domain.MessageRecovered, Attempts: attempt + 1, Cause: errBusy}
		if len(got.Failed) != 1 || got.Failed[0] != want || (got.Sent == 1) != (attempt == 0) {
			t.Fatalf("attempt %d: %+v", attempt+1, got)
		}
		left := o.waiting()
		if len(left) != 1 || left[0].ID != id || left[0].Attempts != attempt+1 || !left[0].DueAt.Equal(o.clock.now.Add(wait)) {
			t.Errorf("after attempt %d: %+v", attempt+1, left)
		}
		o.clock.now = o.clock.now.Add(wait - time.Microsecond)
		if got := o.delivers(); !reflect.DeepEqual(got, mail.Delivered{}) {
			t.Errorf("too early after attempt %d: %+v", attempt+1, got)
		}
		o.clock.now = o.clock.now.Add(time.Microsecond)
	}
	o.postman.says = nil
	if got := o.delivers(); got.Sent != 1 || o.waiting() != nil {
		t.Errorf("in the end: %+v, left %+v", got, o.waiting())
	}
}

func TestALetterThatNobodyWillTakeIsGivenUpAndTheOthersAreSent(t *testing.T) {
	o := newOffice(t)
	id := o.leaves(1)
	o.leaves(0)
	cause := fmt.Errorf("550 no such mailbox: %w", domain.ErrUndeliverable)
	o.postman.says = func(_ context.Context, letter ports.Letter) error {
		if letter.Message.ID == id {
			return cause
		}
		return nil
	}
	got := o.delivers()
	if want := (mail.Failure{ID: id, Kind: domain.MessageRecovered, Attempts: 1, GivenUp: true, Cause: cause}); got.Sent != 1 || len(got.Failed) != 1 || got.Failed[0] != want {
		t.Errorf("delivered %+v", got)
	}
	if left := o.waiting(); left != nil {
		t.Errorf("left %+v", left)
	}
}

// One attempt finds out that there is no server; the others need not.
func TestWhereThereIsNoServerTheOthersAreNotTried(t *testing.T) {
	o := newOffice(t)
	first := o.leaves(2)
	o.leaves(1)
	o.leaves(0)
	o.postman.says = func(context.Context, ports.Letter) error {
		return fmt.Errorf("connection refused: %w", domain.ErrUnavailable)
	}
	got := o.delivers()
	if got.Sent != 0 || len(got.Failed) != 1 || got.Failed[0].ID != first || got.Failed[0].GivenUp || !errors.Is(got.Failed[0].Cause, domain.ErrUnavailable) {
		t.Errorf("delivered %+v", got)
	}
	attempts := 0
	for _, m := range o.waiting() {
		attempts += m.Attempts
	}
	if o.postman.turned != 1 || attempts != 1 || len(o.waiting()) != 3 {
		t.Errorf("tried %d times, left %+v", o.postman.turned, o.waiting())
	}
	o.postman.says = nil
	o.clock.now = noon.Add(30 * time.Second)
	if got := o.delivers(); got.Sent != 3 {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestALetterThatHasExpiredIsGivenUp(t *testing.T) {
	for left, sent := range map[time.Duration]int{time.Microsecond: 1, 0: 0, -time.Hour: 0} {
		o := newOffice(t)
		id := o.leaves(0)
		o.clock.now = noon.Add(4*24*time.Hour - left)
		got := o.delivers()
		if got.Sent != sent || len(o.postman.took) != sent || o.waiting() != nil {
			t.Errorf("%s before it expires: %+v, left %+v", left, got, o.waiting())
		}
		if sent == 0 && (len(got.Failed) != 1 || got.Failed[0].ID != id || !got.Failed[0].GivenUp || !errors.Is(got.Failed[0].Cause, domain.ErrUndeliverable)) {
			t.Errorf("%s before it expires: %+v", left, got)
		}
	}
}

// A code whose half hour is over before the next attempt is not tried again.
func TestALetterThatWouldBeOfNoUseByThenIsGivenUp(t *testing.T) {
	o := newOffice(t)
	if _, err := o.claim(o.moves("Ada", "", false), "ada@example.org", noon); err != nil {
		t.Fatal(err)
	}
	o.postman.says = func(context.Context, ports.Letter) error { return errBusy }
	o.clock.now = noon.Add(30*time.Minute - 30*time.Second)
	if got := o.delivers(); len(got.Failed) != 1 || !got.Failed[0].GivenUp || got.Failed[0].Cause != errBusy || o.waiting() != nil {
		t.Errorf("delivered %+v, left %+v", got, o.waiting())
	}
}

// The server's secret was replaced, or the row was moved to another message.
func TestACodeThatCannotBeReadIsGivenUp(t *testing.T) {
	for name, spoil := range map[string]func(*office){
		"under a secret that is gone": func(o *office) { o.deliver.Sealer = sealer(o.t, "B") },
		"of another message": func(o *office) {
			is := o.waiting()[0]
			other, err := domain.NewMessageID(noon, rand.Reader)
			if err != nil {
				o.t.Fatal(err)
			}
			o.update(func(tx ports.Tx) error {
				moved := is
				moved.ID = other
				return errors.Join(tx.Messages.Remove(o.t.Context(), is.ID), tx.Messages.Add(o.t.Context(), domain.RestoreMessage(moved)))
			})
		},
		"that is empty": func(o *office) {
			is := o.waiting()[0]
			is.Code = []byte{}
			o.update(func(tx ports.Tx) error { return tx.Messages.Save(o.t.Context(), domain.RestoreMessage(is)) })
		},
	} {
		o := newOffice(t)
		if _, err := o.claim(o.moves("Ada", "", false), "ada@example.org", noon); err != nil {
			t.Fatal(err)
		}
		spoil(o)
		got := o.delivers()
		if len(got.Failed) != 1 || !got.Failed[0].GivenUp || !errors.Is(got.Failed[0].Cause, domain.ErrUndeliverable) || len(o.postman.took) != 0 || o.waiting() != nil {
			t.Errorf("%s: %+v, sent %+v, left %+v", name, got, o.postman.took, o.waiting())
		}
	}
}

func TestOfManyWhoDeliverAtOnceEachSendsOtherLetters(t *testing.T) {
	const nodes, each = 16, 4
	o := newOffice(t)
	for n := range nodes * each {
		o.leaves(n)
	}
	sent := make([]int, nodes)
	var delivering sync.WaitGroup
	for node := range nodes {
		delivering.Go(func() {
			delivered, err := o.deliver.Execute(t.Context())
			if err != nil || delivered.Failed != nil {
				t.Errorf("got %+v, %v", delivered, err)
			}
			sent[node] = delivered.Sent
		})
	}
	delivering.Wait()
	got := o.postman.recipients()
	total := 0
	for _, n := range sent {
		total += n
	}
	if slices.Sort(got); len(slices.Compact(got)) != nodes*each || len(o.postman.took) != nodes*each || total != nodes*each {
		t.Errorf("sent %d letters to %d people, and %d are said to be", len(o.postman.took), len(slices.Compact(got)), total)
	}
	if left := o.waiting(); left != nil {
		t.Errorf("left %+v", left)
	}
}

// While one node talks with a slow server, no other takes the same letter.
func TestALetterUnderWayIsNobodyElses(t *testing.T) {
	o := newOffice(t)
	o.leaves(0)
	o.postman.says = func(context.Context, ports.Letter) error {
		if len(o.waiting()) != 1 {
			t.Error("it is gone before it is sent")
		}
		other := *o.deliver
		other.Mailer = &postman{}
		for _, later := range []time.Duration{0, 5*time.Minute - time.Microsecond} {
			other.Clock = &clock{noon.Add(later)}
			if got, err := other.Execute(t.Context()); err != nil || !reflect.DeepEqual(got, mail.Delivered{}) {
				t.Errorf("%s later another delivers %+v, %v", later, got, err)
			}
		}
		return nil
	}
	if got := o.delivers(); got.Sent != 1 {
		t.Errorf("delivered %+v", got)
	}
}

func TestAServerThatStopsInTheMiddleLosesNothing(t *testing.T) {
	o := newOffice(t)
	id := o.leaves(1)
	o.leaves(0)
	ctx, stop := context.WithCancel(t.Context())
	o.postman.says = func(ctx context.Context, _ ports.Letter) error {
		stop()
		<-ctx.Done()
		return ctx.Err()
	}
	if got, err := o.deliver.Execute(ctx); err != nil || !reflect.DeepEqual(got, mail.Delivered{}) {
		t.Errorf("stopped: %+v, %v", got, err)
	}
	for _, m := range o.waiting() {
		if m.ID == id && (m.Attempts != 1 || !m.DueAt.Equal(noon.Add(5*time.Minute))) {
			t.Errorf("left %+v", m)
		}
	}
	if n := len(o.waiting()); n != 2 {
		t.Errorf("%d are left", n)
	}
	o.postman.says = nil
	o.clock.now = noon.Add(5*time.Minute - time.Microsecond)
	if got := o.delivers(); got.Sent != 1 || o.postman.took[0].Message.ID == id {
		t.Errorf("a moment before: %+v, sent %+v", got, o.postman.took)
	}
	o.clock.now = noon.Add(5 * time.Minute)
	if got := o.delivers(); got.Sent != 1 || o.postman.took[1].Message.ID != id || o.postman.took[1].Message.Attempts != 2 {
		t.Errorf("after that: %+v, sent %+v", got, o.postman.took)
	}
}

// What the server has taken by then is written down, so that it is not sent twice.
func TestALetterThatWasTakenBeforeTheStopIsNotSentAgain(t *testing.T) {
	o := newOffice(t)
	o.leaves(1)
	o.leaves(0)
	ctx, stop := context.WithCancel(t.Context())
	o.postman.says = func(context.Context, ports.Letter) error {
		stop()
		return nil
	}
	if got, err := o.deliver.Execute(ctx); err != nil || got.Sent != 1 || got.Failed != nil {
		t.Errorf("stopped: %+v, %v", got, err)
	}
	if left := o.waiting(); len(left) != 1 || left[0].To != address(0) || left[0].Attempts != 0 {
		t.Errorf("left %+v", left)
	}
}

func TestAServerThatIsSilentIsLeftAfterAMinute(t *testing.T) {
	o := newOffice(t)
	o.leaves(0)
	begun := time.Now()
	o.postman.says = func(ctx context.Context, _ ports.Letter) error {
		if until, limited := ctx.Deadline(); !limited || until.Before(begun.Add(time.Minute)) || until.After(time.Now().Add(time.Minute)) {
			t.Errorf("it may take until %s, limited %t", until, limited)
		}
		return context.DeadlineExceeded
	}
	if got := o.delivers(); len(got.Failed) != 1 || got.Failed[0].GivenUp || got.Failed[0].Cause != context.DeadlineExceeded {
		t.Errorf("delivered %+v", got)
	}
}

func TestWhereNoMailIsSentNothingIsDelivered(t *testing.T) {
	o := newOffice(t)
	o.leaves(0)
	before := o.waiting()
	for _, deliver := range []*mail.Deliver{{}, {Policy: domain.MailOff, Store: o.store, Mailer: o.postman, Sealer: o.claims.Sealer, Clock: o.clock}} {
		if got, err := deliver.Execute(t.Context()); err != nil || !reflect.DeepEqual(got, mail.Delivered{}) {
			t.Errorf("delivered %+v, %v", got, err)
		}
	}
	if after := o.waiting(); !reflect.DeepEqual(after, before) || o.postman.took != nil {
		t.Errorf("sent %+v, left %+v", o.postman.took, after)
	}
}

// Nothing to send is nothing to write: a database in use is not held up every other second.
func TestAnEmptyOfficeWritesNothing(t *testing.T) {
	o := newOffice(t)
	o.deliver.Store = readOnly{o.store}
	if got := o.delivers(); !reflect.DeepEqual(got, mail.Delivered{}) {
		t.Errorf("delivered %+v", got)
	}
	o.leaves(0)
	if got, err := o.deliver.Execute(t.Context()); !errors.Is(err, domain.ErrUnavailable) || !reflect.DeepEqual(got, mail.Delivered{}) || o.postman.took != nil {
		t.Errorf("what cannot be noted is sent: %+v, %v", got, err)
	}
}

type readOnly struct{ ports.Store }

func (readOnly) Update(context.Context, func(ports.Tx) error) error { return domain.ErrUnavailable }

// robbed is a store that had to begin a unit of work again, because another node was quicker.
type robbed struct {
	ports.Store
	meanwhile func()
}

var errAgain = errors.New("not serializable")

func (r *robbed) Update(ctx context.Context, fn func(ports.Tx) error) error {
	if meanwhile := r.meanwhile; meanwhile != nil {
		r.meanwhile = nil
		err := r.Store.Update(ctx, func(tx ports.Tx) error { return errors.Join(fn(tx), errAgain) })
		if !errors.Is(err, errAgain) {
			return err
		}
		meanwhile()
	}
	return r.Store.Update(ctx, fn)
}

func TestALetterThatAnotherNodeTookIsNotSentAgain(t *testing.T) {
	o := newOffice(t)
	o.leaves(0)
	quicker := *o.deliver
	o.deliver.Store = &robbed{o.store, func() {
		if got, err := quicker.Execute(t.Context()); err != nil || got.Sent != 1 {
			t.Errorf("the other delivers %+v, %v", got, err)
		}
	}}
	if got := o.delivers(); !reflect.DeepEqual(got, mail.Delivered{}) || len(o.postman.took) != 1 {
		t.Errorf("delivered %+v, sent %d", got, len(o.postman.took))
	}
}
