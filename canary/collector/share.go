package collector

import (
	"sync"
	"time"
)

// shares keeps one image from taking the place of all others: an intruder who
// holds its keys can sign as many alarms as he likes. What is over the share
// is counted in the incident and not kept one by one.
type shares struct {
	rate, burst float64 // alarms a second, and at once

	mu     sync.Mutex
	builds map[string]*share
}

type share struct {
	left float64
	at   time.Time
}

const maxShares = 4096

func (s *shares) take(build string, now time.Time) bool {
	if s.rate <= 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.builds[build]
	if one == nil {
		if len(s.builds) >= maxShares { // full shares are as good as none
			s.forget(now)
		}
		one = &share{left: s.burst, at: now}
		s.builds[build] = one
	}
	if passed := now.Sub(one.at).Seconds(); passed > 0 {
		one.left = min(s.burst, one.left+passed*s.rate)
		one.at = now
	}
	if one.left < 1 {
		return false
	}
	one.left--
	return true
}

func (s *shares) forget(now time.Time) {
	for build, one := range s.builds {
		if one.left+now.Sub(one.at).Seconds()*s.rate >= s.burst {
			delete(s.builds, build)
		}
	}
}
