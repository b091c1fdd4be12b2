package acceptance

import "testing"

// BenchmarkSignIn is a whole sign-in: options, the device's signature, verify. The device's own work is in the figure.
func BenchmarkSignIn(b *testing.B) {
	for _, c := range []struct {
		name string
		open func(testing.TB) door
	}{
		{"use cases on memory", func(t testing.TB) door {
			return openUseCases(t, settings(t, useCaseOrigin, nil), memoryStore(t), newClock())
		}},
		{"use cases on SQLite", func(t testing.TB) door {
			return openUseCases(t, settings(t, useCaseOrigin, nil), sqliteStore(t), newClock())
		}},
		{"HTTP on SQLite", func(t testing.TB) door { return httpDoor{startServer(t, newClock(), nil)} }},
	} {
		b.Run(c.name+"/one after another", func(b *testing.B) {
			ada := (&lodge{t: b, clock: newClock(), door: c.open(b)}).person("Ada", phone)
			ada.signsUp()
			for b.Loop() {
				ada.signsIn()
			}
		})
		b.Run(c.name+"/64 at once", func(b *testing.B) {
			l := &lodge{t: b, clock: newClock(), door: c.open(b)}
			people := make(chan *person, 64)
			for range cap(people) {
				somebody := l.person("Ada", phone)
				somebody.signsUp()
				people <- somebody
			}
			b.SetParallelism(32) // on two processors
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				somebody := <-people
				defer func() { people <- somebody }()
				for pb.Next() {
					somebody.signsIn()
				}
			})
		})
	}
}
