package ptrace_test

import (
	"testing"

	"garrison/platform/platformtest"
)

func TestStress(t *testing.T) { platformtest.Stress(t, newPlatform) }

func TestStressKilled(t *testing.T) { platformtest.StressKilled(t, newPlatform) }
