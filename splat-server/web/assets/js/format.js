// Formats numbers in the current language.

import { language, t } from './i18n.js';

/** `1.5 MB`. */
export function bytes(count) {
  if (count < 1000) return `${whole(count)} B`;
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  let unit = 0;
  let value = count;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 1 && value < 10 ? 1 : 0;
  return new Intl.NumberFormat(language(), { style: 'unit', unit: units[unit], unitDisplay: 'short', maximumFractionDigits: digits }).format(value);
}

/** Seconds as `2 h 5 min`, `3 min 20 s`, `12 s`. */
export function duration(seconds) {
  const total = Math.max(0, Math.round(seconds));
  const parts = { hours: Math.floor(total / 3600), minutes: Math.floor(total / 60) % 60, seconds: total % 60 };
  if (parts.hours > 0) return t('duration.hours', parts);
  if (parts.minutes >= 10) return t('duration.minutes', parts);
  if (parts.minutes > 0) return t('duration.minutes_seconds', parts);
  return t('duration.seconds', parts);
}

/** A whole number with separators. */
export function whole(value) {
  return Math.round(value).toLocaleString(language());
}

/** A number with a fixed count of digits after the point. */
export function fixed(value, digits) {
  return Number(value).toLocaleString(language(), { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** `24.31 dB`. */
export function decibel(value) {
  return `${fixed(value, 2)} dB`;
}

/** A point in time: the time for today, the date otherwise; `medium` includes seconds. */
export function moment(text, timeStyle = 'short') {
  const when = new Date(text);
  if (Number.isNaN(when.getTime())) return '';
  const today = new Date().toDateString() === when.toDateString();
  const shape = today ? { timeStyle } : { dateStyle: 'medium', timeStyle };
  return new Intl.DateTimeFormat(language(), shape).format(when);
}
