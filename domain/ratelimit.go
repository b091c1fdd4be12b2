package domain

import "time"

// RateClass is a kind of calls that share their limits.
type RateClass string

const (
	RateSignUp   RateClass = "signup"   // an account, once made, stays
	RateLogin    RateClass = "login"    // nothing to guess, but each call costs a challenge and a look at the store
	RateRefresh  RateClass = "refresh"  // programs behind one address may be many
	RateStepUp   RateClass = "step-up"  // a login of somebody who is signed in
	RateChange   RateClass = "change"   // what a signed-in person does to their account
	RateRecovery RateClass = "recovery" // six digits open the way to an account; and a made-up name costs a count and an event
	RateCode     RateClass = "code"     // six or eight digits prove an app or an address; and each asked for is a letter
)

// RateClasses are all of them, in the order in which they are told.
var RateClasses = []RateClass{RateSignUp, RateLogin, RateRefresh, RateStepUp, RateChange, RateRecovery, RateCode}

// FailsClosed says that behind these calls is something short enough to be guessed. Where nobody can count any more they are
// shut, and the others go on: a passkey, a refresh token or a session cannot be guessed, however often somebody tries.
func (c RateClass) FailsClosed() bool { return c == RateRecovery || c == RateCode }

// PerNetwork limits what comes from one network, whoever it is about.
func (c RateClass) PerNetwork() RatePolicy { return RatePolicy(c) }

// PerAccount limits what is about one account. Whoever is signed in counts by who they are. A name that anybody can say counts
// together with the network that it was said from: otherwise whoever says Ada's name often enough would shut Ada out.
func (c RateClass) PerAccount() RatePolicy { return RatePolicy(c) + "-account" }

// RatePolicy is one of the limits of a class, by the name that settings and clients know it by.
type RatePolicy string

// RateLimit is a bucket of tokens: so many calls at once, and as many again spread evenly over each window.
type RateLimit struct {
	Quota  int
	Window time.Duration // whole seconds
}

// Interval is the time in which one token comes back.
func (l RateLimit) Interval() time.Duration { return l.Window / time.Duration(l.Quota) }

// FillTime is the time in which an empty bucket fills.
func (l RateLimit) FillTime() time.Duration { return time.Duration(l.Quota) * l.Interval() }

// RateLimits are those of an installation. A policy that is not among them has no limit.
type RateLimits map[RatePolicy]RateLimit

// DefaultRateLimits are such that no person and no office behind one address meets them, and a script does. A sign-in is two
// calls, a recovery three.
func DefaultRateLimits() RateLimits {
	return RateLimits{
		RateSignUp.PerNetwork(): {120, 10 * time.Minute}, // a school class at once
		RateSignUp.PerAccount(): {20, 10 * time.Minute},
		RateLogin.PerNetwork():  {300, time.Minute}, // a hundred and more people in the same minute
		RateLogin.PerAccount():  {30, time.Minute},
		RateRefresh.PerNetwork(): {
			1200, time.Minute, // with tokens of five minutes: thousands of programs
		},
		RateStepUp.PerNetwork():   {120, time.Minute},
		RateStepUp.PerAccount():   {20, time.Minute},
		RateChange.PerNetwork():   {300, time.Minute},
		RateChange.PerAccount():   {60, time.Minute},
		RateRecovery.PerNetwork(): {30, 10 * time.Minute}, // beside the lockouts, which last
		RateRecovery.PerAccount(): {15, 10 * time.Minute},
		RateCode.PerNetwork():     {60, 10 * time.Minute},
		RateCode.PerAccount():     {20, 10 * time.Minute},
	}
}

// RatePolicies are the names of all policies there are, in the order in which they are told.
func RatePolicies() []RatePolicy {
	known := DefaultRateLimits()
	var policies []RatePolicy
	for _, class := range RateClasses {
		for _, policy := range []RatePolicy{class.PerNetwork(), class.PerAccount()} {
			if _, found := known[policy]; found {
				policies = append(policies, policy)
			}
		}
	}
	return policies
}

// RateSubject is whose bucket it is. It does not say who that is: what strangers are called and where they come from is not
// for whoever reads a shared store.
type RateSubject [16]byte

// RateKey keeps names and addresses out of the buckets' names.
type RateKey []byte

// Network is the bucket of a network.
func (k RateKey) Network(p RatePolicy, from Network) RateSubject { return k.subject(p, from, "") }

// NameAndNetwork is the bucket of a name as it was said, whether it is anybody's or not, from a network.
func (k RateKey) NameAndNetwork(p RatePolicy, name string, from Network) RateSubject {
	return k.subject(p, from, "name\x00"+name)
}

// User is the bucket of somebody who is signed in.
func (k RateKey) User(p RatePolicy, id UserID) RateSubject {
	return k.subject(p, "", "user\x00"+id.String())
}

func (k RateKey) subject(p RatePolicy, from Network, who string) RateSubject {
	mac := hmacSHA256(k, []byte(string(p)+"\x00"+string(from)+"\x00"+who))
	return RateSubject(mac[:len(RateSubject{})])
}

// Bucket is whose tokens are asked for, and what bucket they come from.
type Bucket struct {
	Subject RateSubject
	Limit   RateLimit
}

// BucketState is what became of asking a bucket for a token, and what is in it now. The zero Level is that of one that was not asked.
type BucketState struct {
	Allowed     bool // there was one
	Remaining   int
	NextTokenIn time.Duration // until there is one more; zero for a full bucket
}

// BucketState is that of a bucket which will be full after so long, for those who keep that alone of it.
func (l RateLimit) BucketState(full time.Duration, taken bool) BucketState {
	full = min(max(full, 0), l.FillTime())
	missing := int((full + l.Interval() - 1) / l.Interval())
	level := BucketState{Allowed: taken, Remaining: l.Quota - missing}
	if missing > 0 {
		level.NextTokenIn = full - time.Duration(missing-1)*l.Interval()
	}
	return level
}
