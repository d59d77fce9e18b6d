-- owner: its usage.
return usage_of(ARGV[3])
