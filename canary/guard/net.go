//go:build linux && !nonet

package main

import "github.com/hardstand/hardstand/canary/internal/report"

// networked tells the image builder that this program can report to a
// collector; see config.Networked.
const networked = 1

var post = report.Post
