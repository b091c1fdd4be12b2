package domain

import "time"

// RateClass is a group of operations that share limits.
type RateClass string

const (
	RateSignUp   RateClass = "signup"   // each one adds an account
	RateLogin    RateClass = "login"    // nothing to guess, but each request writes a challenge
	RateRefresh  RateClass = "refresh"  // many clients may share an address
	RateStepUp   RateClass = "step-up"  // a login of a signed-in user
	RateChange   RateClass = "change"   // changes of the own account
	RateRecovery RateClass = "recovery" // codes of six digits; a made-up name writes a lockout and an event
	RateCode     RateClass = "code"     // codes of six or eight digits; each request for one sends an e-mail
)

// RateClasses lists all classes, in the order of the documentation.
var RateClasses = []RateClass{RateSignUp, RateLogin, RateRefresh, RateStepUp, RateChange, RateRecovery, RateCode}

// FailsClosed reports whether requests are rejected while the limiter is unavailable: those with codes, which could be guessed.
// Passkeys, refresh tokens and sessions cannot be guessed with any number of requests.
func (c RateClass) FailsClosed() bool { return c == RateRecovery || c == RateCode }

// PerNetwork returns the limit for the requests of one network.
func (c RateClass) PerNetwork() RatePolicy { return RatePolicy(c) }

// PerAccount returns the limit for the requests about one account. It counts a signed-in user by their id, and a name in an
// unauthenticated request together with the client's network: otherwise an attacker could use up the limit of another user.
func (c RateClass) PerAccount() RatePolicy { return RatePolicy(c) + "-account" }

// RatePolicy is the name of a limit, in settings and responses.
type RatePolicy string

// RateLimit is a token bucket: Quota requests at once, refilled evenly over Window.
type RateLimit struct {
	Quota  int
	Window time.Duration // whole seconds
}

// Interval returns the time in which one token is refilled.
func (l RateLimit) Interval() time.Duration { return l.Window / time.Duration(l.Quota) }

// FillTime returns the time in which an empty bucket fills.
func (l RateLimit) FillTime() time.Duration { return time.Duration(l.Quota) * l.Interval() }

// RateLimits maps policies to limits. A policy that is missing has no limit.
type RateLimits map[RatePolicy]RateLimit

// DefaultRateLimits returns limits that a person, or an office behind one address, does not reach, and a script does. A sign-in is
// two requests, a recovery three.
func DefaultRateLimits() RateLimits {
	return RateLimits{
		RateSignUp.PerNetwork(): {120, 10 * time.Minute}, // a school class signs up together
		RateSignUp.PerAccount(): {20, 10 * time.Minute},
		RateLogin.PerNetwork():  {300, time.Minute}, // 150 sign-ins per minute
		RateLogin.PerAccount():  {30, time.Minute},
		RateRefresh.PerNetwork(): {
			1200, time.Minute, // 6,000 clients, with tokens of five minutes
		},
		RateStepUp.PerNetwork():   {120, time.Minute},
		RateStepUp.PerAccount():   {20, time.Minute},
		RateChange.PerNetwork():   {300, time.Minute},
		RateChange.PerAccount():   {60, time.Minute},
		RateRecovery.PerNetwork(): {30, 10 * time.Minute}, // in addition to the lockouts
		RateRecovery.PerAccount(): {15, 10 * time.Minute},
		RateCode.PerNetwork():     {60, 10 * time.Minute},
		RateCode.PerAccount():     {20, 10 * time.Minute},
	}
}

// RatePolicies returns the names of all policies, in the order of the documentation.
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

// RateSubject identifies a bucket. It is an HMAC, so that the shared store contains no names and addresses.
type RateSubject [16]byte

// RateKey is the HMAC key of bucket names.
type RateKey []byte

// Network returns the bucket of a network.
func (k RateKey) Network(p RatePolicy, from Network) RateSubject { return k.subject(p, from, "") }

// NameAndNetwork returns the bucket of a name as the request states it, with or without an account, and a network.
func (k RateKey) NameAndNetwork(p RatePolicy, name string, from Network) RateSubject {
	return k.subject(p, from, "name\x00"+name)
}

// User returns the bucket of a signed-in user.
func (k RateKey) User(p RatePolicy, id UserID) RateSubject {
	return k.subject(p, "", "user\x00"+id.String())
}

func (k RateKey) subject(p RatePolicy, from Network, caller string) RateSubject {
	mac := hmacSHA256(k, []byte(string(p)+"\x00"+string(from)+"\x00"+caller))
	return RateSubject(mac[:len(RateSubject{})])
}

// Bucket is a bucket with its limit.
type Bucket struct {
	Subject RateSubject
	Limit   RateLimit
}

// BucketState is the result of taking a token from a bucket.
type BucketState struct {
	Allowed     bool // a token was taken
	Remaining   int
	NextTokenIn time.Duration // zero for a full bucket
}

// BucketState returns the state of a bucket that is full after untilFull, the only value that is stored of it.
func (l RateLimit) BucketState(untilFull time.Duration, allowed bool) BucketState {
	untilFull = min(max(untilFull, 0), l.FillTime())
	missing := int((untilFull + l.Interval() - 1) / l.Interval())
	state := BucketState{Allowed: allowed, Remaining: l.Quota - missing}
	if missing > 0 {
		state.NextTokenIn = untilFull - time.Duration(missing-1)*l.Interval()
	}
	return state
}
