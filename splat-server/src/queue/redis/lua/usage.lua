-- owner
return usage_of(ARGV[3])
