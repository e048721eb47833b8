//go:build linux && !nonet

package main

import (
	"context"
	"net"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/internal/config"
	send "github.com/hardstand/hardstand/canary/internal/report"
)

// networked tells the image builder that this program can report to a
// collector; see config.Networked.
const networked = 1

const (
	deadline  = 1500 * time.Millisecond // of all that goes over a network
	retryWait = 100 * time.Millisecond
)

// report sends the alarm to the collector and resolves its name, both at once,
// and closes the returned channel when both are done or the time is up.
func report(c config.Config, d config.Decoy, e alert.Event) <-chan struct{} {
	done := make(chan struct{})
	if c.Collector == "" && c.Zone == "" {
		close(done)
		return done
	}
	key := alert.KeyFromBytes(d.Key)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	named := make(chan struct{})
	go func() {
		defer close(named)
		if name, err := key.Name(e, c.Zone); c.Zone != "" && err == nil {
			_, _ = net.DefaultResolver.LookupHost(ctx, name) // the question is the message
		}
	}()
	go func() {
		defer close(done)
		defer cancel()
		message := key.Seal(e, alert.MaxMessage)
		for c.Collector != "" && ctx.Err() == nil && send.Post(ctx, c.Collector, c.CA, message) != nil {
			select { // again with the same nonce: a collector counts it once
			case <-ctx.Done():
			case <-time.After(retryWait):
			}
		}
		<-named
	}()
	return done
}
