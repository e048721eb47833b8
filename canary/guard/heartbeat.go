//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
)

const heartbeatEvery = 5 * time.Minute // a collector takes three times as much for silence

// beat tells the collector that the guard is there. One that is not accepted
// is not repeated: the next says the same, and alarms must not wait for it.
func (a *alarms) beat() {
	if a.config.Collector == "" {
		return
	}
	for {
		e := alert.Event{Build: a.config.Build, Decoy: alert.Guard, Kind: alert.KindHeartbeat, Time: time.Now().UnixMicro()}
		_, _ = rand.Read(e.Nonce[:]) // never fails, crypto/rand
		ctx, cancel := context.WithTimeout(context.Background(), sendTimeout)
		err := post(ctx, a.config.Collector, a.config.CA, a.key.Seal(e, 0))
		cancel()
		wait := heartbeatEvery
		if err != nil {
			wait = lastRetry
		}
		time.Sleep(wait)
	}
}
