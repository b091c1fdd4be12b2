package sqlite

import "testing"

func TestReaders_LastUsedFirst(t *testing.T) {
	first, second := &connection{}, &connection{}
	r := newReaders()
	r.put(first)
	r.put(second)
	for range 3 {
		<-r.free
		c := r.pop()
		if c != second {
			t.Fatal("got the connection that was used first")
		}
		r.put(c)
	}
	<-r.free
	<-r.free
	if r.pop() != second || r.pop() != first {
		t.Error("a connection is missing")
	}
}
