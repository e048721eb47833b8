package collector

import (
	"bytes"
	"errors"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/noise"
	"github.com/hardstand/hardstand/canary/collector/store"
)

// Rejection says why something was not taken in.
type Rejection string

// Rejections.
const (
	Malformed    Rejection = "malformed"    // has not the form of an alarm
	Oversized    Rejection = "oversized"    // over the limit of its channel
	Forged       Rejection = "forged"       // nobody with the key made it, or it was damaged
	Stale        Rejection = "stale"        // authentic, but older than nonces are remembered
	Revoked      Rejection = "revoked"      // its keys are known to have leaked
	Unauthorized Rejection = "unauthorized" // a shipper without the ingest token
)

// Error makes a Rejection an error.
func (r Rejection) Error() string { return "alarm is " + string(r) }

// Verifier decides what is authentic. It keeps no state: replays are
// recognised by the store, which knows every nonce it has.
type Verifier struct {
	Masters []alert.Master
	Window  time.Duration // how far an alarm's clock may be off until it is called late or ahead
	Memory  time.Duration // how long nonces are known: what is older is refused
}

// Check reads one alarm line, as a decoy sends it. Where its authentication
// does not match, nothing it says is used.
func (v *Verifier) Check(text []byte, now time.Time) (store.Arrival, error) {
	if len(text) > alert.MaxMessage {
		return store.Arrival{}, Oversized
	}
	m, err := alert.Open(text, v.Masters...)
	if errors.Is(err, alert.ErrForged) {
		return store.Arrival{}, Forged
	}
	if err != nil {
		return store.Arrival{}, Malformed
	}
	e := m.Event
	a := store.Alarm{
		Kind: store.KindDecoy, Build: e.Build, Decoy: e.Decoy, Nonce: e.Nonce.String(), Proof: store.ProofKey,
		At: e.At(), Received: now, Event: &e,
	}
	if e.Kind == alert.KindDrill {
		a.Kind = store.KindDrill
	}
	if a.Timing, err = v.timing(a.At, now); err != nil {
		return store.Arrival{}, err
	}
	return store.Arrival{Alarm: a}, nil
}

func (v *Verifier) timing(at, now time.Time) (store.Timing, error) {
	switch age := now.Sub(at); {
	case age > v.Memory:
		return "", Stale
	case age > v.Window:
		return store.Late, nil
	case age < -v.Window:
		return store.Ahead, nil
	}
	return store.OnTime, nil
}

// CheckName reads a resolved name of a zone. It returns alert.ErrNoName for
// names that are no alarm.
func (v *Verifier) CheckName(name, zone string, now time.Time) (store.Arrival, error) {
	n, err := alert.ParseName(name, zone)
	if err != nil {
		return store.Arrival{}, err
	}
	for _, master := range v.Masters {
		if master.VerifyName(n) == nil {
			return store.Arrival{Alarm: store.Alarm{
				Kind: store.KindDecoy, Channel: store.ChannelDNS, Build: n.Build, Decoy: n.Decoy, Nonce: n.Nonce.String(),
				Proof: store.ProofName, Timing: store.OnTime, At: now, Received: now,
			}}, nil
		}
	}
	return store.Arrival{}, Forged
}

// InLine returns the alarms in a line of a log: a line may hold a torn one and
// a whole one. A line in the form of a log driver (a JSON object with a field
// log, message or msg) is unwrapped first.
func (v *Verifier) InLine(line []byte, now time.Time) (found []store.Arrival, rejected []Rejection) {
	prefix := []byte(alert.Prefix)
	if !bytes.Contains(line, prefix) {
		// The encoder of a log driver may have escaped the slash.
		if !bytes.Contains(line, []byte(`hardstand-canary\/1 `)) {
			return nil, nil
		}
	}
	line = unwrap(line)
	for _, piece := range bytes.Split(line, prefix)[1:] {
		a, err := v.Check(append(bytes.Clone(prefix), piece...), now)
		var why Rejection
		switch {
		case err == nil:
			found = append(found, a)
		case errors.As(err, &why):
			rejected = append(rejected, why)
		}
	}
	return found, rejected
}

// fromObservation checks what a listener says.
func fromObservation(o store.Observation, now time.Time) (store.Arrival, error) {
	if alert.CheckName(o.Build) != nil || o.Token == "" {
		return store.Arrival{}, Malformed
	}
	if o.Time.IsZero() {
		o.Time = now
	}
	if o.Nonce == "" {
		o.Nonce = randomNonce()
	}
	facts := map[string]string{}
	for k, value := range o.Facts {
		if len(facts) == maxFacts {
			break
		}
		facts[noise.Clean(k, maxFactName)] = noise.Clean(value, maxFact)
	}
	if o.TokenID != "" {
		facts["token"] = noise.Clean(o.TokenID, maxFact)
	}
	return store.Arrival{Alarm: store.Alarm{
		Kind: store.KindToken, Channel: o.Channel, Build: o.Build, Decoy: noise.Clean(o.Token, alert.MaxName), Nonce: noise.Clean(o.Nonce, maxNonce),
		Proof: o.Proof, Timing: store.OnTime, Source: noise.Clean(o.Source, maxFactName), At: o.Time, Received: now, Facts: facts,
	}}, nil
}

const (
	maxFacts    = 32
	maxFactName = 128  // bytes
	maxFact     = 1024 // bytes
	maxNonce    = 128  // bytes
)
